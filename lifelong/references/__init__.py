"""What returns are measured by: a random policy, and a learner that has one world to itself; measured once, kept."""
