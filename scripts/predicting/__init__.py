"""What ``scripts.predict`` makes of a recording."""

ENDINGS = (
    "-summary.json",
    "-windows.csv.gz",
    "-bouts.csv",
    "-hourly.csv",
    "-daily.csv",
    ".html",
)  # summary first
