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
    unfinished = sa.text("state IN ('waiting', 'notified')")  # whether a broadcast is finished is asked all the time
    op.create_index(
        "ix_deliveries_open_by_broadcast",
        "deliveries",
        ["broadcast_id"],
        unique=False,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.execute("UPDATE deliveries SET state = 'ready' WHERE state = 'planned'")  # rows no longer wait for their audience to be complete
    # Whose turn it is among the broadcasts of an account is found by stepping from one to the next (app/outbox/turns.py).
    op.drop_index("ix_deliveries_due", table_name="deliveries")
    _index_due("broadcast_id", "due_at")
    op.add_column("paces", sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True))
    for name in ("pause", "troubles"):
        op.add_column("paces", sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, server_default="0"))
    op.create_table(
        "heartbeats",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("beat_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_heartbeats")),
    )
    op.create_index("ix_participants_person_id", "participants", ["person_id"], unique=False)  # each push looks for numbers
    unsettled = sa.text("settled_at IS NULL")
    op.create_index("ix_quarantine_open", "quarantine", ["account_id"], unique=False, sqlite_where=unsettled, postgresql_where=unsettled)


def _index_due(*columns: str) -> None:
    due = sa.text("state IN ('ready', 'retry')")
    op.create_index(
        "ix_deliveries_due", "deliveries", ["account_id", "priority", *columns, "id"], unique=False, sqlite_where=due, postgresql_where=due
    )


def downgrade() -> None:
    op.drop_index("ix_quarantine_open", table_name="quarantine")
    op.drop_index("ix_participants_person_id", table_name="participants")
    op.drop_table("heartbeats")
    for name in ("troubles", "pause", "probe_at"):
        op.drop_column("paces", name)
    op.drop_index("ix_deliveries_due", table_name="deliveries")
    _index_due("due_at")
    op.drop_index("ix_deliveries_open_by_broadcast", table_name="deliveries")
    op.drop_index("ix_deliveries_in_doubt", table_name="deliveries")
    op.drop_table("chores")
