"""Many runs, on this machine or on a Dask cluster, each published as it ends."""
