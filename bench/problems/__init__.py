"""Problems that tuners are measured on: BBOB's functions and recorded tables of real trainings (suites.py names them)."""
