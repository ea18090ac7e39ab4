"""Loggers that conf/logger names: Lightning's, made of the run, its folder and what their YAML has.

One that can show pictures has the methods of scaseg.training.media.Shows; one in which a resumed run goes on without
steps logged twice, that of Rewinds.
"""
