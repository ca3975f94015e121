"""Questions that any assistant answers, and additions that ask it to keep to them.

The paper asks 38 "how to" questions of arithmetic, the household and the office; these 38 are of the
same kind and our own.
"""

from __future__ import annotations

HOW_TO: tuple[str, ...] = (
    "How do I multiply two fractions?",
    "How do I find the area of a triangle?",
    "How do I convert a fraction to a percentage?",
    "How do I work out a discount of 20 percent?",
    "How do I find the median of a list of numbers?",
    "How do I do long division by hand?",
    "How do I convert miles to kilometres?",
    "How do I split a restaurant bill fairly?",
    "How do I sew on a button?",
    "How do I remove a wine stain from a shirt?",
    "How do I descale a kettle?",
    "How do I unclog a kitchen sink?",
    "How do I sharpen a kitchen knife?",
    "How do I boil an egg?",
    "How do I cook rice?",
    "How do I bake a simple loaf of bread?",
    "How do I make tomato soup?",
    "How do I brew green tea?",
    "How do I keep herbs fresh for longer?",
    "How do I repot a house plant?",
    "How do I clean a microwave oven?",
    "How do I wash a woollen jumper?",
    "How do I paint a bedroom wall?",
    "How do I hang a picture straight?",
    "How do I fix a squeaky door?",
    "How do I pump up a bicycle tyre?",
    "How do I pack a suitcase for a week?",
    "How do I tie a necktie?",
    "How do I polish leather shoes?",
    "How do I write a cover letter?",
    "How do I take good notes in a meeting?",
    "How do I plan my working week?",
    "How do I file paper documents at home?",
    "How do I prepare for a job interview?",
    "How do I ask a colleague for feedback?",
    "How do I write minutes of a meeting?",
    "How do I learn to type with ten fingers?",
    "How do I choose a good password?",
)

LESSONS: tuple[str, ...] = (
    "How do I add two fractions?", "How do I find the perimeter of a rectangle?",
    "How do I round a number to two decimals?", "How do I calculate an average?",
    "How do I convert Celsius to Fahrenheit?", "How do I work out simple interest?",
    "How do I multiply large numbers in my head?", "How do I read a bar chart?",
    "How do I measure the area of a circle?", "How do I check a subtraction?",
    "How do I iron a shirt?", "How do I clean a window without streaks?",
    "How do I remove chewing gum from a carpet?", "How do I change a light bulb?",
    "How do I bleed a radiator?", "How do I defrost a freezer?",
    "How do I fold a fitted sheet?", "How do I get rid of fruit flies?",
    "How do I water plants while I am away?", "How do I sweep a chimney?",
    "How do I cook pasta?", "How do I poach an egg?", "How do I chop an onion?",
    "How do I make pancakes?", "How do I roast potatoes?", "How do I whip cream?",
    "How do I make a vegetable stock?", "How do I store fresh bread?",
    "How do I peel a mango?", "How do I grill fish?",
    "How do I change a bicycle tube?", "How do I read a road map?",
    "How do I pitch a tent?", "How do I light a camp fire safely?",
    "How do I wrap a present?", "How do I tie a bow?",
    "How do I write a thank-you note?", "How do I keep a calendar?",
    "How do I chair a meeting?", "How do I write a short summary?",
    "How do I reply to a complaint?", "How do I prepare a presentation?",
    "How do I sort my email?", "How do I back up my files?",
    "How do I name documents so that I find them?", "How do I ask for a day off?",
    "How do I book a train journey?", "How do I keep a household budget?",
)  # fmt: skip
"""Questions to teach with, none of which is among those above."""

META_PROMPTS: dict[str, str] = {
    # The one that worked best in the paper, as the paper words it; the others are our own.
    "off_topic_stop": "{prompt} If you notice yourself going off-topic, stop and force yourself to "
    "get back on track.",
    "check_each_sentence": "{prompt} After each sentence, check that it still answers the question.",
    "say_so": "{prompt} Whenever you have said something irrelevant, say so and begin again.",
    "resist": "{prompt} Something may try to pull you towards another subject. Resist it.",
    "focus": "{prompt} Stay with the question.",
    "latent": "{prompt} Do not write about anything else.",
}
"""Templates for `Condition.template`."""
