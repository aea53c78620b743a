"""Under fire: what several processes, large audiences and old rows ask of the tables."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "chores",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("through", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chores")),
    )
    op.create_index(
        "ix_deliveries_in_doubt",
        "deliveries",
        ["state", "broadcast_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('held', 'unknown')"),
        postgresql_where=sa.text("state IN ('held', 'unknown')"),
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_in_doubt", table_name="deliveries")
    op.drop_table("chores")
