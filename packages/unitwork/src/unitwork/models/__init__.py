"""What mapped models share: columns, soft delete, who acts."""
