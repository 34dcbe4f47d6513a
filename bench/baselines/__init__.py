"""The baselines: the same work done in other ways, each as a competent person would write it."""
