"""What can be proved about a graph: ranges, intervals, order-free sums."""
