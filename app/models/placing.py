"""Tables: a proposal of who sits in which group, while it is talked about and once it is applied."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.columns import Table


class Proposal(Table):
    """A proposal for the people of a course who have no group. What is known of them is looked up anew and never copied here."""

    __tablename__ = "proposals"
    __table_args__ = (
        Index(
            "uq_proposals_one_draft",
            "course_id",
            unique=True,
            sqlite_where=text("state = 'draft'"),
            postgresql_where=text("state = 'draft'"),
        ),
        Index("ix_proposals_course_id", "course_id", "id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="SET NULL"))  # who changed it last; None: the operator
    seed: Mapped[int]  # by which it was dealt last
    version: Mapped[int]  # grows with each change: who works on an older one is told
    state: Mapped[str]  # draft, applied, dropped
    together: Mapped[str]  # numbers of people, one wish a line
    apart: Mapped[str]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class ProposalGroup(Table):
    """A group of a proposal: one that there is, or one to be made when it is applied. `name`: of one to be made."""

    __tablename__ = "proposal_groups"
    __table_args__ = (UniqueConstraint("proposal_id", "place"), Index("ix_proposal_groups_group_id", "group_id"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposals.id", ondelete="CASCADE"))
    place: Mapped[int]  # from 0
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    name: Mapped[str]


class ProposalSeat(Table):
    """Somebody in a group of a proposal: who has joined, or whom an invitation is for. `outcome`: what became of it when it was applied."""

    __tablename__ = "proposal_seats"
    __table_args__ = (
        UniqueConstraint("proposal_id", "person_id"),
        UniqueConstraint("proposal_id", "invitation_id"),
        Index("ix_proposal_seats_person_id", "person_id"),
        Index("ix_proposal_seats_invitation_id", "invitation_id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposals.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("invitations.id", ondelete="CASCADE"))
    place: Mapped[int]
    outcome: Mapped[str]  # empty, placed; left out: sits, left, full, closed
