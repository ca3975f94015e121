"""axonal: research papers that run. Record, move and measure what flows inside networks."""

__version__ = "0.1.0"
