"""Questions to the leader of a small group as rows: asked, called for, claimed by the first, answered, asked on.

`asking` is what who asks may do, `answering` who answers, `calling` what the clock brings, `letters` the messages, `listeners` who is
called, `views` who may see what, `standing` what is left when somebody goes (it knows no people, so that `app/people.py` may ask it).
"""
