"""The course: warm words, their plan, and who was given which."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "warm_words",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("course_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("theme", sa.String(), nullable=False),
        sa.Column("words_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("author_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["persons.id"], name=op.f("fk_warm_words_author_id_persons"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_warm_words_course_id_courses"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warm_words")),
        sa.UniqueConstraint("course_id", "code", name=op.f("uq_warm_words_course_id_code")),
        sa.UniqueConstraint("course_id", "number", name=op.f("uq_warm_words_course_id_number")),
    )
    op.create_table(
        "warm_plans",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("course_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("days", sa.String(), nullable=False),
        sa.Column("hour", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_warm_plans_course_id_courses"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_warm_plans_group_id_groups"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warm_plans")),
        sa.UniqueConstraint("course_id", name=op.f("uq_warm_plans_course_id")),
    )
    with op.batch_alter_table("warm_plans", schema=None) as batch_op:
        batch_op.create_index(
            "ix_warm_plans_next_at",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("state = 'going'"),
            postgresql_where=sa.text("state = 'going'"),
        )

    op.create_table(
        "warm_firings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fire_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("theme", sa.String(), nullable=False),
        sa.Column("word_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("through", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["plan_id"], ["warm_plans.id"], name=op.f("fk_warm_firings_plan_id_warm_plans"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["word_id"], ["warm_words.id"], name=op.f("fk_warm_firings_word_id_warm_words"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warm_firings")),
        sa.UniqueConstraint("plan_id", "fire_at", name=op.f("uq_warm_firings_plan_id_fire_at")),
    )
    with op.batch_alter_table("warm_firings", schema=None) as batch_op:
        batch_op.create_index(
            "ix_warm_firings_going",
            ["id"],
            unique=False,
            sqlite_where=sa.text("outcome = 'going'"),
            postgresql_where=sa.text("outcome = 'going'"),
        )

    op.create_table(
        "warm_given",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("word_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("course_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("after", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("broadcast_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("thanked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcasts.id"], name=op.f("fk_warm_given_broadcast_id_broadcasts"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_warm_given_course_id_courses"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_warm_given_person_id_persons"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["word_id"], ["warm_words.id"], name=op.f("fk_warm_given_word_id_warm_words"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warm_given")),
        sa.UniqueConstraint("word_id", "person_id", name=op.f("uq_warm_given_word_id_person_id")),
    )
    with op.batch_alter_table("warm_given", schema=None) as batch_op:
        batch_op.create_index("ix_warm_given_person_id", ["person_id", "course_id", "at"], unique=False)
        batch_op.create_index(
            "uq_warm_given_first",
            ["course_id", "person_id"],
            unique=True,
            sqlite_where=sa.text("after = 'first'"),
            postgresql_where=sa.text("after = 'first'"),
        )


def downgrade() -> None:
    with op.batch_alter_table("warm_given", schema=None) as batch_op:
        batch_op.drop_index("uq_warm_given_first", sqlite_where=sa.text("after = 'first'"), postgresql_where=sa.text("after = 'first'"))
        batch_op.drop_index("ix_warm_given_person_id")

    op.drop_table("warm_given")
    with op.batch_alter_table("warm_firings", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_warm_firings_going", sqlite_where=sa.text("outcome = 'going'"), postgresql_where=sa.text("outcome = 'going'")
        )

    op.drop_table("warm_firings")
    with op.batch_alter_table("warm_plans", schema=None) as batch_op:
        batch_op.drop_index("ix_warm_plans_next_at", sqlite_where=sa.text("state = 'going'"), postgresql_where=sa.text("state = 'going'"))

    op.drop_table("warm_plans")
    op.drop_table("warm_words")
