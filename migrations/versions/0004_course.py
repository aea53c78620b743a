"""What a course starts with a person: a cap per day with its count, and silences in which nothing is started."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("allowances", schema=None) as batch_op:
        batch_op.add_column(sa.Column("started_on", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("started", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False))

    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cap", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch_op.add_column(sa.Column("silences", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.drop_column("silences")
        batch_op.drop_column("cap")

    with op.batch_alter_table("allowances", schema=None) as batch_op:
        batch_op.drop_column("started")
        batch_op.drop_column("started_on")
