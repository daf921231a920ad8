"""A diagnosis as one HTML file that needs nothing else: no script, no request, everything from files escaped."""
