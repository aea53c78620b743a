"""Every table, and nothing else: what is stored, what is unique, what is deleted with what.

Statements are SQLAlchemy Core on these classes' columns; nothing is loaded as an object (docs/decisions/003). Columns named `*_sealed`
hold AES-256-GCM ciphertext bound to table, column and row (`app/sealing.py`); columns named `*_index` hold a keyed hash to look up by.
Ids of rows with sealed columns are issued by `app/ids.py` before the insert. Moments are UTC with zone.
"""

from app.models.accounts import AccessToken, Account, Alarm, Audit, Chore, DataKey, Erasure, Heartbeat, Pace
from app.models.calendar import Attendance, Gathering, MakeUp, Occasion
from app.models.columns import Id, Moment, Table
from app.models.console import ConsoleSession, Login, Pass, Scan, SigninTry
from app.models.courses import ConsentGiven, Course, Group, Invitation, Membership, Participant, Screening
from app.models.deliveries import Approval, Attempt, Broadcast, Delivery, Firing, Receipt, Schedule, stands
from app.models.encouragement import WarmFiring, WarmGiven, WarmPlan, WarmWord
from app.models.flags import Alert, Contact, Flag, OnCall
from app.models.homework import CheckIn, PracticeHour
from app.models.integrations import IdempotencyKey, Integration, IntegrationCourse
from app.models.masses import Mass, Tag, TagMember
from app.models.people import Allowance, Conversation, Guess, Identity, InboxItem, Person, Quarantined
from app.models.placing import Proposal, ProposalGroup, ProposalSeat
from app.models.polls import Poll, PollAnswer
from app.models.prompts import Prompt, PromptFiring, PromptGroup
from app.models.questionnaires import Assignment, AssignmentChange, GivenAnswer, Sheet, Wave, Wording
from app.models.questions import Absence, Question, QuestionCall, QuestionWords

__all__ = [
    "Absence",
    "AccessToken",
    "Account",
    "Alarm",
    "Alert",
    "Allowance",
    "Approval",
    "Assignment",
    "AssignmentChange",
    "Attempt",
    "Attendance",
    "Audit",
    "Broadcast",
    "CheckIn",
    "Chore",
    "ConsentGiven",
    "ConsoleSession",
    "Contact",
    "Conversation",
    "Course",
    "DataKey",
    "Delivery",
    "Erasure",
    "Firing",
    "Flag",
    "Gathering",
    "GivenAnswer",
    "Group",
    "Guess",
    "Heartbeat",
    "Id",
    "IdempotencyKey",
    "Identity",
    "InboxItem",
    "Integration",
    "IntegrationCourse",
    "Invitation",
    "Login",
    "MakeUp",
    "Mass",
    "Membership",
    "Moment",
    "Occasion",
    "OnCall",
    "Pace",
    "Participant",
    "Pass",
    "Person",
    "Poll",
    "PollAnswer",
    "PracticeHour",
    "Prompt",
    "PromptFiring",
    "PromptGroup",
    "Proposal",
    "ProposalGroup",
    "ProposalSeat",
    "Quarantined",
    "Question",
    "QuestionCall",
    "QuestionWords",
    "Receipt",
    "Scan",
    "Schedule",
    "Screening",
    "Sheet",
    "SigninTry",
    "Table",
    "Tag",
    "TagMember",
    "WarmFiring",
    "WarmGiven",
    "WarmPlan",
    "WarmWord",
    "Wave",
    "Wording",
    "stands",
]
