"""`python -m botscalp.backtest`: the command stands in `botscalp.rescore`, far above the core that this package belongs to."""

from botscalp.rescore import main

if __name__ == "__main__":
    main()
