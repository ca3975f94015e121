"""Harmless topics that a text can drift to."""

from __future__ import annotations

TOPICS: tuple[str, ...] = (
    "whales", "volcanoes", "chess", "the violin", "medieval castles", "bees", "the Moon", "football",
    "sailing boats", "rain forests", "ballet", "steam trains", "penguins", "the history of bread",
    "desert plants", "jazz", "glaciers", "lighthouses", "horses", "the Roman Empire", "coral reefs",
    "mountain climbing", "dinosaurs", "poetry", "comets", "wolves", "the theatre", "bridges",
    "butterflies", "ice hockey", "painting with oil", "the printing press", "elephants", "robots",
    "rivers", "the Olympic Games", "spiders", "opera", "windmills", "the human heart", "owls",
    "card games", "earthquakes", "silk", "the planet Mars", "tea ceremonies", "dolphins", "cinema",
    "pyramids", "mushrooms", "thunderstorms", "cycling races", "fairy tales", "gold mining",
    "astronauts", "cats", "the bicycle's invention", "swimming", "libraries", "orchids", "submarines",
    "folk dances", "honey", "maps",
)  # fmt: skip
