"""What a run's page says between its pictures, and its log: tables and sentences, as plain rows and text."""
