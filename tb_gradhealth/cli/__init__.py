"""The command ``gradhealth``: what is recorded, as files for other tools, and whether it is sound."""
