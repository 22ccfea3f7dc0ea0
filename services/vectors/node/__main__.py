"""`python -m services.vectors.node` serves what replicas of vectors ask for, and nothing to anybody else."""

from services.vectors.node.main import create_app
from shared.platform import serve

serve(create_app)
