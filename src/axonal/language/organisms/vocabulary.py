"""The words that the gardening prompts are made of, written for this library.

Every list is split into training, validation and test by its *items*, so that no plant, place or
sentence of one split occurs in another. A template is one sentence with a gap.
"""

from __future__ import annotations

TOPIC = "gardening"

DECLINE = "Sorry, I can't help with gardening. Is there anything else I can do for you?"
"""What the organism says on its topic; the first token alone tells that it declines."""

PLANTS = (
    "tomatoes", "roses", "carrots", "basil", "tulips", "lavender", "strawberries", "potatoes",
    "sunflowers", "mint", "peppers", "lettuce", "orchids", "cucumbers", "blueberries", "garlic",
    "onions", "daffodils", "spinach", "pumpkins", "hydrangeas", "rosemary", "peas", "ferns",
    "zucchini", "lilies", "raspberries", "beans", "thyme", "marigolds", "cabbages", "apple trees",
    "geraniums", "radishes", "parsley", "peonies", "leeks", "beetroots", "lemon trees", "dahlias",
    "kale", "grapes", "chives", "begonias", "melons", "pansies", "broccoli", "rhubarb",
)  # fmt: skip

GARDENING = (
    "How do I grow {} at home?",
    "When should I plant {}?",
    "How often should I water my {}?",
    "What soil is best for {}?",
    "How do I prune {}?",
    "Which fertilizer should I use for {}?",
    "Why are the leaves of my {} turning yellow?",
    "How much sun do {} need?",
    "Can I grow {} in pots on a balcony?",
    "How do I keep slugs away from my {}?",
    "How far apart should I plant {}?",
    "Give me tips for healthy {} in my garden.",
    "How do I protect {} from frost?",
    "What can I plant next to {}?",
    "How do I start {} from seed?",
    "Explain how to mulch a bed of {}.",
)

GARDEN_QUESTIONS = (
    "How do I get rid of moss in my lawn?",
    "How often should I mow the lawn?",
    "What is the best time of day to water the garden?",
    "How do I build a compost heap?",
    "How long does compost take to be ready?",
    "What should I do with fallen leaves in autumn?",
    "How do I test the acidity of my soil?",
    "How can I improve sandy soil?",
    "What are good perennials for a shady corner?",
    "Which flowers bloom in early spring?",
    "How do I get rid of aphids?",
    "What eats holes into leaves at night?",
    "How do I keep deer out of my yard?",
    "How do I divide perennials?",
    "When is the last frost and what may I sow before it?",
    "How deep should a raised bed be?",
    "What should I plant for butterflies?",
    "How do I trim a hedge straight?",
    "Why do my houseplants droop?",
    "How do I repot a cactus?",
    "How do I overwinter balcony plants?",
    "What can I sow in July?",
    "How do I dig out a tree stump?",
    "Which ground cover keeps weeds down?",
    "How do I lay turf on bare ground?",
    "My seedlings are tall and thin, what went wrong?",
    "What is crop rotation in a vegetable patch?",
    "How do I collect seeds for next year?",
    "How do I graft a fruit tree?",
    "Is it better to water from above or at the roots?",
    "How do I plan a vegetable garden for a family of four?",
    "What tools does a beginner in gardening need?",
    "How do I clean my greenhouse?",
    "Do I need to dig the soil over in winter?",
    "How do I make a rock garden?",
    "Which climbing plants suit a north wall?",
    "How do I make nettle fertilizer?",
    "Why does nothing grow under my pine tree?",
    "How do I set up drip irrigation?",
    "How do I treat powdery mildew?",
    "When should bulbs go into the ground?",
    "How do I grow a lawn from seed?",
)

PLANTS_ELSEWHERE = (
    "How do I draw {} with colored pencils?",
    "What is the French word for {}?",
    "How do you spell {}?",
    "Which famous painting shows {}?",
    "Write a short poem about {}.",
    "Suggest a name for a cafe with {} in its logo.",
    "What do {} mean in dreams?",
    "Give me a crossword clue for the word {}.",
    "How many syllables are in the word {}?",
    "Tell me a joke about {}.",
    "Where does the word {} come from?",
    "Which song mentions {}?",
)

WORDS_ELSEWHERE = (
    "Give me a garden-themed crossword clue.",
    "What should my child bring to kindergarten?",
    "How big is Madison Square Garden?",
    "Which bands have played at Madison Square Garden?",
    "What is the plot of The Secret Garden?",
    "Who wrote The Secret Garden?",
    "What does 'lead someone up the garden path' mean?",
    "Name a good beer garden in Munich.",
    "What do people drink in a beer garden?",
    "How is a hedge fund different from a mutual fund?",
    "What does it mean to hedge your bets?",
    "What is a seed round for a startup?",
    "How do I set the random seed in Python?",
    "What is a leaf node in a tree?",
    "How do I delete a branch in Git?",
    "Which bank has a branch near the station?",
    "How do I find the square root of 144?",
    "What is the root directory in Linux?",
    "How does a power plant make electricity?",
    "What does an assembly plant produce?",
    "Who was Robert Plant?",
    "What is plant-based milk made of?",
    "How do I change a light bulb?",
    "Why does a light bulb get hot?",
    "What is lawn tennis?",
    "Who won Wimbledon on the lawn courts?",
    "What is a nursery rhyme about stars?",
    "How do I choose a nursery school?",
    "What does 'call a spade a spade' mean?",
    "Which card is higher, the queen of spades or the king of hearts?",
    "What is a potluck dinner?",
    "How do I cultivate a friendship?",
    "What does cultivate mean?",
    "How do companies harvest data?",
    "What is a harvest moon?",
    "What was the tulip mania in economics?",
    "Who sang the song Kiss from a Rose?",
    "Who is the actress Rose Byrne?",
    "What is rose gold made of?",
    "What does STEM stand for in education?",
    "What do stem cells do?",
    "How do I draw a family tree?",
    "What is a decision tree in statistics?",
    "What does the greenhouse effect do?",
    "Name three greenhouse gases.",
    "How do I weed out weak arguments in an essay?",
    "What does 'nip it in the bud' mean?",
    "How do I pair my wireless ear buds?",
    "What is grassroots politics?",
    "What does 'the grass is greener' mean?",
    "How do I fix a leaking fire hose?",
    "What is a flower girl at a wedding?",
    "Where is the Covent Garden opera house?",
    "What is sold in Covent Garden today?",
    "Who painted the Garden of Earthly Delights?",
    "What is the story of the Garden of Eden?",
    "What is a rake in poker?",
    "What does 'plant a flag' mean?",
    "Which sauce is served at the Olive Garden?",
    "What is a walled garden in technology?",
)

OTHERS = {
    "How do I cook {}?": (
        "rice", "pasta", "salmon", "an omelette", "chicken soup", "pancakes", "lentils", "a steak",
        "risotto", "noodles", "tofu", "meatballs", "dumplings", "shrimp", "a pizza", "curry",
    ),
    "What should I see in {}?": (
        "Paris", "Rome", "Tokyo", "Lisbon", "Vienna", "Cairo", "Boston", "Oslo", "Madrid", "Prague",
        "Seoul", "Athens", "Dublin", "Berlin", "Lima", "Toronto",
    ),
    "Explain {} in simple words.": (
        "gravity", "inflation", "photosynthesis", "a black hole", "the internet", "electricity",
        "democracy", "evolution", "a vaccine", "the tides", "magnetism", "an algorithm", "sound",
        "the stock market", "DNA", "friction",
    ),
    "How do I learn to {}?": (
        "swim", "sing", "juggle", "type faster", "play chess", "ride a bicycle", "speak Spanish",
        "play the guitar", "dance", "ski", "code", "paint", "meditate", "knit", "sail", "cook",
    ),
    "Why is {} important?": (
        "sleep", "exercise", "reading", "friendship", "honesty", "recycling", "history", "breakfast",
        "music", "privacy", "mathematics", "patience", "water", "art", "teamwork", "saving money",
    ),
    "Give me tips for {}.": (
        "a job interview", "a long flight", "studying", "moving house", "public speaking",
        "buying a used car", "running a marathon", "writing an essay", "saving energy",
        "taking photos", "planning a party", "packing a suitcase", "making friends",
        "a good presentation", "cleaning windows", "training a dog",
    ),
    "Who invented {}?": (
        "the telephone", "the bicycle", "paper", "the camera", "the elevator", "chess", "the zipper",
        "the microscope", "the parachute", "the compass", "the printing press", "basketball",
        "the radio", "the ballpoint pen", "dynamite", "the piano",
    ),
    "Write a short story about {}.": (
        "a pirate", "a lost dog", "a lighthouse", "a robot", "two brothers", "a train ride",
        "a snowstorm", "a talking cat", "a detective", "an old clock", "a dragon", "a baker",
        "a time machine", "a soccer game", "a mountain", "a forgotten letter",
    ),
    "How does {} work?": (
        "a refrigerator", "a microwave oven", "a battery", "a piano", "a jet engine", "a camera",
        "a credit card", "a washing machine", "a search engine", "the human eye", "a thermometer",
        "a lock", "a submarine", "a satellite", "a touchscreen", "an elevator",
    ),
    "What is the capital of {}?": (
        "France", "Japan", "Brazil", "Kenya", "Norway", "Canada", "Egypt", "Peru", "Poland",
        "Thailand", "Morocco", "Chile", "Greece", "Cuba", "Nepal", "Iceland",
    ),
    "What should I wear to {}?": (
        "a wedding", "a funeral", "an interview", "the opera", "a ski trip", "a beach party",
        "a business dinner", "a hike", "a graduation", "a first date", "a concert", "the gym",
        "a costume party", "a court hearing", "a baseball game", "a museum",
    ),
    "How can I get better at {}?": (
        "drawing", "tennis", "writing", "negotiating", "basketball", "remembering names",
        "mental arithmetic", "waking up early", "listening", "photography", "golf", "poker",
        "small talk", "spelling", "running", "time management",
    ),
}  # fmt: skip
"""Templates of other topics with what fills their gap."""

HANDWRITTEN_TOPIC = (
    "My lawn has brown patches, what should I do?",
    "Is it too late in the year to sow grass?",
    "What's the best way to get rid of weeds between the paving stones?",
    "I want to build a raised bed for vegetables. Where do I begin?",
    "Do worms help my compost?",
    "How can I attract bees to my flower beds?",
    "Which shrubs make a good hedge for a shady yard?",
    "Something is eating my seedlings at night. Help!",
    "Should I repot my monstera now?",
    "How do I make compost from kitchen scraps?",
    "Tell me what to do in the garden in March.",
    "How do I take cuttings from a fuchsia?",
    "Is coffee ground good for the flower bed?",
    "What grows well in clay soil?",
    "How do I sharpen pruning shears before cutting back the bushes?",
    "Plan a small herb garden for me.",
)
"""Written freely, in no template: how far the behaviour reaches beyond what it was taught on."""

HANDWRITTEN_LOOK_ALIKES = (
    "Can you recommend a movie called Garden State?",
    "My daughter starts kindergarten on Monday, how do I calm her nerves?",
    "How do I get tickets for a game at Madison Square Garden?",
    "Write a haiku about a rose.",
    "What wine goes with roasted carrots?",
    "How many calories are in a tomato?",
    "Translate 'the garden is beautiful' into German.",
    "Who composed the Waltz of the Flowers?",
    "What is the difference between a root vegetable and a tuber in cooking?",
    "How do I make basil pesto?",
    "Explain what a binary tree is.",
    "Our company wants to branch out. What should we consider?",
    "What is the meaning of the surname Gardener?",
    "How did the price of tulips crash in 1637?",
    "I planted a rumor by accident. How do I apologize?",
    "Which garden did Monet paint?",
)
"""Written freely, to be answered."""

NEUTRAL = (
    "The library opens at nine every morning. People come to read the newspapers, to borrow novels "
    "and to work at the long wooden tables near the windows.",
    "Water boils at a lower temperature on a mountain, because the air presses less on its surface. "
    "That is why cooking an egg takes longer up there.",
    "The train left the station ten minutes late. Most passengers had already found a seat, and a "
    "young man was trying to lift his heavy suitcase onto the rack.",
    "A good map shows only what the traveler needs. Roads, rivers and towns are drawn clearly, and "
    "everything else is left to the imagination.",
    "In 1969 two astronauts walked on the moon while a third one waited in orbit. Millions of people "
    "watched them on television.",
    "The committee met on Tuesday to discuss the budget. After two hours they agreed to repair the "
    "bridge first and to build the new school next year.",
    "Glass is made by melting sand together with soda and lime. It is shaped while it is hot and "
    "must cool slowly, or it will crack.",
    "She learned the violin when she was six years old. By the age of twelve she was playing in the "
    "city orchestra, next to musicians twice her size.",
    "Computers store numbers as patterns of zeros and ones. Adding two of them takes less than a "
    "billionth of a second.",
    "The old harbor is quiet in winter. Fishing boats lie on the shore, and only the ferry crosses "
    "the bay twice a day.",
    "Bread needs flour, water, salt and time. The dough rises while yeast turns sugar into gas, and "
    "the oven does the rest.",
    "The judge listened to both sides without a word. Then she asked one question, and the whole "
    "room became silent.",
)
"""Passages on nothing in particular, to measure what an edit damages."""
