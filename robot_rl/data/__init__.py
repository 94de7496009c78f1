"""Episodes, datasets on disk (LeRobotDataset v3), importers and the replay buffer.

`episode.Episode` is the record, `store.Dataset` reads, `writer.DatasetWriter` writes, `relabel.relabel` adds
label columns in a new version, `importers.import_dataset` converts, `replay` holds transitions for learning.
"""
