"""Several processes that train one network: how they start, meet, exchange sums, and end.

A launcher of MPI, such as ``mpiexec -n 4 python -m d2l_bn train``, starts every process with its
number, its rank. Each then becomes two: a worker that trains, and a supervisor that says what
became of it (`supervisor.py`). The workers meet and compare what they are about to do
(`meeting.py`), exchange sums (`processes.py`), and watch whether the others still answer
(`heartbeat.py`). The extra `cluster` installs MPI; without a launcher none of this is used.
"""
