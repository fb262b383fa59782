"""What a run's page says between its pictures: tables and sentences, as plain rows and text."""
