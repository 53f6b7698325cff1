"""The published parameters of the rule `vote3-ped/2`; a change of one is a change of METHOD.

Ratios are exact fractions, times are milliseconds. Where each comes from: docs/decisions/consensus.md.
"""

from decimal import Decimal
from fractions import Fraction

METHOD = "vote3-ped/2"
FIRST_METHOD = "vote3-ped/1"  # of earlier versions; its prices can be recomputed
FALLBACK_METHOD = "fallback/1"

# A quote is plausible between these, in US dollars.
LOWEST = Decimal(1)
HIGHEST = Decimal(100_000_000)

# Freshness: max(base, polls x interval).
EXCHANGE_STALE = 30_000
EXCHANGE_STALE_POLLS = 3
AGGREGATOR_STALE = 120_000
AGGREGATOR_STALE_POLLS = 2
# A failing source that hasn't answered for this long has no vote, however young its last quote is: so one poll may
# fail, and what answers now decides. max(base, polls x interval).
SILENT = 10_000
SILENT_POLLS = Fraction(3, 2)
# A clock may be ahead of ours by as much as a quote may be old.
CLOCK_AHEAD = 30_000

# The confidence interval of a vote: half the bid-ask spread, at least this part of the price, wider with age.
BOOK_FLOOR = Fraction(1, 10_000)
LAST_FLOOR = Fraction(10, 10_000)  # no bid and ask: only a last trade
CONVERTED_FLOOR = Fraction(20, 10_000)  # 99 % of converted prices lie this near in the twelve recorded days

# A frozen source repeats itself for this many polls while the others move by more than this.
FROZEN_POLLS = 3
FROZEN_MOVE = Fraction(10, 10_000)

# Potentially erroneous data. An exchange is excluded beyond the limit: EXCLUDE from the median; or, where more than
# half of the voices agree within CLOSE, EXCLUDE_GAPS times their gap from all of these, EXCLUDE_CLOSE at least.
# It is back within half of the limit for two rounds.
EXCLUDE = Fraction(5, 100)
CLOSE = Fraction(5, 1000)
EXCLUDE_CLOSE = Fraction(1, 100)
EXCLUDE_GAPS = 3
READMIT_ROUNDS = 2

# Learned offsets: parts of the price. Time constants are half-lives / ln 2, in ms.
OFFSET_LIMIT = Fraction(20, 10_000)
OFFSET_LEARNING = 2_597_000  # 30 min
OFFSET_FADE = 20_775_000  # 4 h
CORRECTION_FADE = 2_597_000  # 30 min

RECENT = 32  # ticks from which the rule finds again what it remembers

QUORUM = 3  # exchanges that must agree for `ok`
AGREE = Fraction(1, 100)
JUMP = Fraction(5, 100)  # more than this between two rounds needs a second look, unless the status is `ok`
# After this long without a fresh price there is none: max(base, polls x interval).
MAX_STALE = 300_000
MAX_STALE_POLLS = 3
