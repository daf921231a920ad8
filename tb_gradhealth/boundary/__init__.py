"""What happens around ``optimizer.step()``: hooks, names, GradScaler, clipping."""
