"""The tables: drugs, scales, conditions, definitions. Each row keeps its source; README.md tells the rest."""
