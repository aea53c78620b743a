"""An announcement to many is for a second person to see first."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("schedule_id", _ID, autoincrement=False, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("at_once", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", _ID, nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["decided_by"], ["persons.id"], name=op.f("fk_approvals_decided_by_persons"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedules.id"], name=op.f("fk_approvals_schedule_id_schedules"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("schedule_id", name=op.f("pk_approvals")),
    )
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.create_index("ix_approvals_state", ["state", "until"], unique=False)
    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.add_column(sa.Column("second_eyes", _ID, server_default="60", nullable=False))
    # A course that is there already goes on as it did: who runs it switches this on, for there may be nobody who could look.
    op.execute("UPDATE courses SET second_eyes = 0")


def downgrade() -> None:
    # What waits for a second person goes out to nobody where nobody can look at it.
    op.execute("UPDATE schedules SET state = 'cancelled', why = 'no_second_eyes' WHERE state IN ('waiting', 'returned')")
    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.drop_column("second_eyes")
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.drop_index("ix_approvals_state")
    op.drop_table("approvals")
