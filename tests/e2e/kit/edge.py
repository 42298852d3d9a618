"""A node that follows a registry in Redis: node settings, its region's key, nothing else."""
import pathlib
import shutil

from . import toml_text
from .gate import Gate


class Edge(Gate):
    """`keys`: the folder with REGION.key. `settings` are laid over node settings alone."""

    def __init__(self, folder, redis_url, keys, name="edge-1", region="eu-west", settings=None, redis=None, **more):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(pathlib.Path(keys) / f"{region}.key", folder / "region.key")
        registry = {"redis": {"url": redis_url, "mode": "follow", **(redis or {})}}
        own = {"node": {"id": name, "region": region}, "registry": registry, "regions": {region: {"key_file": "region.key"}}}
        super().__init__(folder, {}, {}, toml_text.merged(own, settings or {}),
                         certs="/nonexistent", **more)   # has a TLS listener; certificates come from Redis

    def write_settings(self):
        own = self.settings
        for section in ("plans", "pools"):
            own.pop(section, None)
        own["registry"].pop("tenants_dir", None)
        own["platform"] = {k: v for k, v in own.get("platform", {}).items() if k == "trusted_proxies"}
        own["tls"].pop("certs_dir", None)
        super().write_settings()

    def follower(self):
        return self.admin_json("/v1/node")["follower"]
