"""What a study is, and how one is run, judged, stored and reported."""
