"""The demo's page: Gradio Blocks over the service, drawn from the profile. Knows no column by name."""
