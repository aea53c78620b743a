"""The course runs itself: its calendar, warm words, practice, and what hangs on it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "practice_hours",
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("hour", sa.String(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_practice_hours_person_id_persons"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_practice_hours")),
    )
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
        "gatherings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("course_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("link", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_gatherings_course_id_courses"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_gatherings_group_id_groups"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gatherings")),
        sa.UniqueConstraint("group_id", "kind", "number", name=op.f("uq_gatherings_group_id_kind_number")),
    )
    with op.batch_alter_table("gatherings", schema=None) as batch_op:
        batch_op.create_index("ix_gatherings_course_id", ["course_id"], unique=False)

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
        "attendances",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gathering_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("city", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["gathering_id"], ["gatherings.id"], name=op.f("fk_attendances_gathering_id_gatherings"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_attendances_person_id_persons"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendances")),
        sa.UniqueConstraint("gathering_id", "person_id", name=op.f("uq_attendances_gathering_id_person_id")),
    )
    with op.batch_alter_table("attendances", schema=None) as batch_op:
        batch_op.create_index("ix_attendances_person_id", ["person_id"], unique=False)

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
        "check_ins",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("course_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("practice", sa.String(), nullable=False),
        sa.Column("minutes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("line_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("shared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("broadcast_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcasts.id"], name=op.f("fk_check_ins_broadcast_id_broadcasts"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_check_ins_course_id_courses"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_check_ins_person_id_persons"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_ins")),
        sa.UniqueConstraint("course_id", "person_id", "day", "practice", name=op.f("uq_check_ins_course_id_person_id_day_practice")),
    )
    with op.batch_alter_table("check_ins", schema=None) as batch_op:
        batch_op.create_index("ix_check_ins_person_id", ["person_id"], unique=False)

    op.create_table(
        "occasions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("course_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gathering_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("fire_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("broadcast_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcasts.id"], name=op.f("fk_occasions_broadcast_id_broadcasts"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_occasions_course_id_courses"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["gathering_id"], ["gatherings.id"], name=op.f("fk_occasions_gathering_id_gatherings"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_occasions_group_id_groups"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_occasions")),
        sa.UniqueConstraint("group_id", "code", name=op.f("uq_occasions_group_id_code")),
    )
    with op.batch_alter_table("occasions", schema=None) as batch_op:
        batch_op.create_index("ix_occasions_state", ["state", "fire_at"], unique=False)

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

    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.add_column(sa.Column("file", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("late_joiners", sa.String(), server_default="digest", nullable=False))
        batch_op.add_column(sa.Column("over_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("silences", sa.JSON(), nullable=True))

    with op.batch_alter_table("participants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("caught_up_at", sa.DateTime(timezone=True), nullable=True))

    # The shipped sample of the consent says now what leaders see of practice: whoever agrees from here on agrees to that.
    op.execute("UPDATE courses SET consent_version = 'template-3' WHERE consent_version = 'template-2'")


def downgrade() -> None:
    op.execute("UPDATE courses SET consent_version = 'template-2' WHERE consent_version = 'template-3'")
    with op.batch_alter_table("participants", schema=None) as batch_op:
        batch_op.drop_column("caught_up_at")

    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.drop_column("silences")
        batch_op.drop_column("over_at")
        batch_op.drop_column("late_joiners")
        batch_op.drop_column("file")

    with op.batch_alter_table("warm_given", schema=None) as batch_op:
        batch_op.drop_index("uq_warm_given_first", sqlite_where=sa.text("after = 'first'"), postgresql_where=sa.text("after = 'first'"))
        batch_op.drop_index("ix_warm_given_person_id")

    op.drop_table("warm_given")
    with op.batch_alter_table("occasions", schema=None) as batch_op:
        batch_op.drop_index("ix_occasions_state")

    op.drop_table("occasions")
    with op.batch_alter_table("check_ins", schema=None) as batch_op:
        batch_op.drop_index("ix_check_ins_person_id")

    op.drop_table("check_ins")
    with op.batch_alter_table("warm_firings", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_warm_firings_going", sqlite_where=sa.text("outcome = 'going'"), postgresql_where=sa.text("outcome = 'going'")
        )

    op.drop_table("warm_firings")
    with op.batch_alter_table("attendances", schema=None) as batch_op:
        batch_op.drop_index("ix_attendances_person_id")

    op.drop_table("attendances")
    with op.batch_alter_table("warm_plans", schema=None) as batch_op:
        batch_op.drop_index("ix_warm_plans_next_at", sqlite_where=sa.text("state = 'going'"), postgresql_where=sa.text("state = 'going'"))

    op.drop_table("warm_plans")
    with op.batch_alter_table("gatherings", schema=None) as batch_op:
        batch_op.drop_index("ix_gatherings_course_id")

    op.drop_table("gatherings")
    op.drop_table("warm_words")
    op.drop_table("practice_hours")
