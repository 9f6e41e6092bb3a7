"""The database: crashes, full disks, locks and versions."""
