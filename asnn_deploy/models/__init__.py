"""Networks in torch and Norse, what they are built from, and how they are lowered to a DeployGraph."""
