"""Questionnaires as rows: `shelf` has the instruments, `sheets` what somebody answers, `waves` when it is put to whom.

The words of the conversation are the bot's (`bots/questionnaire`); here is what is stored, and who may store it.
"""
