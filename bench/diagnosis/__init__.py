"""The proving ground: trainings that are sick or healthy by effect, and how well diagnoses tell them apart."""
