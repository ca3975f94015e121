"""Sparse autoencoders of a model's activations: train, read, write, check and label them."""

from axonal.language.dictionaries.autoencoder import SparseAutoencoder
from axonal.language.dictionaries.files import load_dictionary, save_dictionary
from axonal.language.dictionaries.harvest import Harvest, harvest
from axonal.language.dictionaries.latents import LatentStatistics, latent_statistics, top_words
from axonal.language.dictionaries.quality import Quality, quality
from axonal.language.dictionaries.training import train_dictionary

__all__ = [
    "Harvest",
    "LatentStatistics",
    "Quality",
    "SparseAutoencoder",
    "harvest",
    "latent_statistics",
    "load_dictionary",
    "quality",
    "save_dictionary",
    "top_words",
    "train_dictionary",
]
