"""What Plaudit costs, beside what it is compared with: each line of the table is measured side by side in one run."""
