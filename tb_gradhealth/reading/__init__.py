"""Recorded runs as arrays and tables: what :func:`tb_gradhealth.open_run` and the command line hand out."""
