"""`python -m btc_price_tracker` is the console script."""

from btc_price_tracker.cli.main import main

if __name__ == "__main__":
    main()
