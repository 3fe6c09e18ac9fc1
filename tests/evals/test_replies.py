"""What a scripted person answers to the many ways in which an assistant asks, states, closes and offers."""

from __future__ import annotations

import anyio
import pytest

from roadster_evals import Scenario
from roadster_evals.people.played_person import Talk

NAME, EMAIL, APPROVAL, PHONE = "Otto Sample.", "It is otto@example.com.", "It is 4f2a.", "It is (206) 555-0123."
YES, NO, UNKNOWN, FINE, WISH = "Yes, please.", "No, thank you.", "I don't know that.", "That is fine.", "And in blue?"

PERSON = {
    "facts": {
        "name": {"asked": ["name"], "say": NAME},
        "email": {"asked": ["email", "e-mail"], "say": EMAIL},
        "approval": {"asked": ["approval", "id"], "say": APPROVAL},
        "phone": {"asked": ["phone", "number"], "say": PHONE},
    },
    "wishes": [WISH],
}


def talk_with(request: str = "Open an account, please.") -> Talk:
    fields = {"name": "tested", "title": "T", "tags": (), "request": request, "reference": {"answer": ""}}
    return Talk(Scenario.model_validate({**fields, "person": PERSON}))


def replies_to(*messages: str, request: str = "Open an account, please.") -> list[str | None]:
    talk = talk_with(request)

    async def say_all() -> list[str | None]:
        return [await talk.say(message) for message in messages]

    return anyio.run(say_all)


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        # It asks for facts.
        ("What is your email?", EMAIL),
        ("May I have your email?", EMAIL),
        ("Could you give me your e-mail, please", EMAIL),
        ("Please send me your email.", EMAIL),
        ("I'd need the email.", EMAIL),
        ("Your email is missing.", EMAIL),
        ("Let me know the email and the phone number.", f"{EMAIL} {PHONE}"),
        ("I need a few things:\n\n- **Name**\n- Email", f"{NAME} {EMAIL}"),
        ("I need two things: 1. your name 2. your email", f"{NAME} {EMAIL}"),
        ("Which emails do you use?", EMAIL),
        ("What is the approval's ID?", APPROVAL),
        ("Your email is on record. What is your phone number?", PHONE),
        ("**What is your name?** Then I can go on.", NAME),
        ("Kindly provide your name and email address.", f"{NAME} {EMAIL}"),
        ("To open the account I require your full name and your email address.", f"{NAME} {EMAIL}"),
        ("Please reply with your name and email address.", f"{NAME} {EMAIL}"),
        ("I'm still missing your name and email address.", f"{NAME} {EMAIL}"),
        ("To open your account, please provide:\n\n**Name:**\n\n**Email:**", f"{NAME} {EMAIL}"),
        ("To open it, please share:  \n\n_Name_\n_Email_", f"{NAME} {EMAIL}"),
        ("I need a few things.\n\n\u2013 Name\n\u2013 Email", f"{NAME} {EMAIL}"),
        ("Please fill in this table.\n\n| Field | Yours |\n|---|---|\n| Name | |\n| Email | |", f"{NAME} {EMAIL}"),
        ("Your email address, please.", EMAIL),
        ("And your email, please, so that I can open it.", EMAIL),
        ("Name and email, please.", f"{NAME} {EMAIL}"),
        ("To continue, provide your email.", EMAIL),
        ("If you'd like me to open it, send your email.", EMAIL),
        ("Once you provide your email, I can open it.", EMAIL),
        ("Opening an account requires your email.", EMAIL),
        ("Please include your email.", EMAIL),
        ("Please type your email.", EMAIL),
        ("Please supply your email.", EMAIL),
        ("Please let me have your email.", EMAIL),
        ("I'd like your email.", EMAIL),
        ("I need to know your email.", EMAIL),
        ("Required: name, email.", f"{NAME} {EMAIL}"),
        # It states something about them.
        ("Your email address is on file.", WISH),
        ("I have your name and email.", WISH),
        ("Name and email are on file.", WISH),
        ("Here is what I have:\n\n**Name:** Otto Sample\n\n**Email:** otto@example.com", WISH),
        ("Please check your email, it has the number.", WISH),
        ("I need to check the name and the email.", WISH),
        ("We need nothing more, your name and email are here.", WISH),
        ("Please note that your email stays private.", WISH),
        ("I don't need your email.", WISH),
        ("I will share your email with nobody.", WISH),
        ("Your name is on the account now.", WISH),
        ("I have no idea yet.", WISH),
        ("I have no idea yet. What color is it?", UNKNOWN),
        ("Is the whole story considered?", UNKNOWN),
        # It asks whether it may go on.
        ("Shall I go on?", YES),
        ("Would you like me to open the account?", YES),
        ("What is your name, and shall I open the account?", f"{NAME} {YES}"),
        ("Shall I open it? Is there anything else?", YES),
        ("Would you like me to open the account for somebody else instead and delete everything?", NO),
        ("Shall I open it for everybody?", NO),
        ("Should I delete the account?", NO),
        ("May I cancel the order?", NO),
        # It asks whether they are content.
        ("It is done. Does that work for you?", f"{FINE} {WISH}"),
        ("How does that sound?", f"{FINE} {WISH}"),
        ("It is open now. Is that what you wanted?", f"{FINE} {WISH}"),
        ("Is that right?", f"{FINE} {WISH}"),
        ("All is set. Okay?", f"{FINE} {WISH}"),
        # It closes.
        ("What else can I do for you?", WISH),
        ("How can I help you next?", WISH),
        ("How else can I help?", WISH),
        ("What would you like to do next?", WISH),
        ("Done. Anything else?", WISH),
        ("Do you have any questions?", WISH),
        ("Let me know if you want anything more.", WISH),
        ("Can I help you with something else?", WISH),
        # It asks for what nobody has.
        ("What is your shoe size?", UNKNOWN),
        ("Do you have any other shoes?", UNKNOWN),
        ("It is open. Which color shall the car have?", UNKNOWN),
    ],
)
def test_a_person_answers_what_was_said(message: str, reply: str) -> None:
    assert replies_to(message) == [reply]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("Remove my account, please.", "Shall I delete the account?"),
        ("Call the delivery off.", "Do you want me to cancel it?"),
        ("Open it for somebody else.", "Shall I open it for someone else?"),
    ],
)
def test_a_person_agrees_to_a_deed_that_they_have_named(request_: str, message: str) -> None:
    assert replies_to(message, request=request_) == [YES]


def test_polite_questions_do_not_keep_a_talk_going() -> None:
    assert replies_to("It is open. Does that work for you?", "In blue too. How does that sound?") == [
        f"{FINE} {WISH}",
        None,
    ]
    assert replies_to("Open.", "Blue. Is that right?", "Great. How does that sound?") == [WISH, FINE, None]
