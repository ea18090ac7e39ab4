"""python -m scaseg.audit: which masks look wrong, by models that were trained without them."""

from scaseg.audit.options import AuditConfig
from scaseg.commands import command


@command("audit", AuditConfig)
def main(cfg: AuditConfig) -> None:
    """Print where the page is."""
    if cfg.ckpt is not None:
        from scaseg.audit.run import audit_by_model

        print(f"page: {audit_by_model(cfg)}")
        return
    from scaseg.audit.asked import by_folds

    audit = by_folds(cfg)
    from scaseg.audit.run import audit_by_folds  # takes seconds: after all that may be wrong with what was asked

    print(f"page: {audit_by_folds(cfg, audit)}")


if __name__ == "__main__":
    main()
