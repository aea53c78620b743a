"""Practice prompts: their words, groups and rules, and each moment that was settled."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "prompts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("course_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("author_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("draft", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("words_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("after_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["persons.id"], name=op.f("fk_prompts_author_id_persons"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_prompts_course_id_courses"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
        sa.UniqueConstraint("author_id", "draft", name=op.f("uq_prompts_author_id_draft")),
        sa.UniqueConstraint("course_id", "number", name=op.f("uq_prompts_course_id_number")),
    )
    with op.batch_alter_table("prompts", schema=None) as batch_op:
        batch_op.create_index("ix_prompts_state", ["state", "next_at"], unique=False)

    op.create_table(
        "prompt_firings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prompt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fire_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_prompt_firings_prompt_id_prompts"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_firings")),
        sa.UniqueConstraint("prompt_id", "fire_at", name=op.f("uq_prompt_firings_prompt_id_fire_at")),
    )
    op.create_table(
        "prompt_groups",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prompt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_prompt_groups_group_id_groups"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_prompt_groups_prompt_id_prompts"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_groups")),
        sa.UniqueConstraint("prompt_id", "group_id", name=op.f("uq_prompt_groups_prompt_id_group_id")),
    )
    with op.batch_alter_table("prompt_groups", schema=None) as batch_op:
        batch_op.create_index("ix_prompt_groups_group_id", ["group_id"], unique=False)

    with op.batch_alter_table("broadcasts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("prompt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch_op.create_index("ix_broadcasts_prompt_id", ["prompt_id"], unique=False)
        batch_op.create_foreign_key(batch_op.f("fk_broadcasts_prompt_id_prompts"), "prompts", ["prompt_id"], ["id"], ondelete="SET NULL")


def downgrade() -> None:
    with op.batch_alter_table("broadcasts", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_broadcasts_prompt_id_prompts"), type_="foreignkey")
        batch_op.drop_index("ix_broadcasts_prompt_id")
        batch_op.drop_column("prompt_id")

    with op.batch_alter_table("prompt_groups", schema=None) as batch_op:
        batch_op.drop_index("ix_prompt_groups_group_id")

    op.drop_table("prompt_groups")
    op.drop_table("prompt_firings")
    with op.batch_alter_table("prompts", schema=None) as batch_op:
        batch_op.drop_index("ix_prompts_state")

    op.drop_table("prompts")
