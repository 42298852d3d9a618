"""Certificates for the tests: the project's own script for hosts, the openssl tool for the odd ones."""
import pathlib
import subprocess

root = pathlib.Path(__file__).resolve().parents[3]


def make_dev_certs(folder, hosts):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([str(root / "certs/make-dev-certs"), str(folder), *hosts],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return folder


def file_name(host):
    """How certs_dir names a host's file."""
    return ("_" + host[1:] if host.startswith("*") else host) + ".pem"


class Authority:
    """A CA of our own."""

    def __init__(self, folder, name="kit"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key, self.cert = self.folder / f"{name}-ca.key", self.folder / f"{name}-ca.pem"
        self._count = 0
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", self.key, "-out", self.cert, "-days", "30", "-subj", f"/CN={name} test CA",
                      "-addext", "basicConstraints=critical,CA:TRUE",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=self.folder)

    def leaf(self, names, out=None, days=30, client=False):
        """Chain and key in one PEM file; `names`: DNS names, "IP:..." for addresses."""
        names = [names] if isinstance(names, str) else names
        self._count += 1
        base = self.folder / f"leaf-{self._count}"
        request, key, cert, ext = (base.with_suffix(s) for s in (".csr", ".key", ".crt", ".ext"))
        san = ",".join(n if n.startswith("IP:") else f"DNS:{n}" for n in names)
        ext.write_text(f"subjectAltName={san}\nbasicConstraints=critical,CA:FALSE\n"
                       f"extendedKeyUsage={'clientAuth' if client else 'serverAuth'}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                      "-out", request, "-subj", f"/CN={names[0].removeprefix('IP:')[:60]}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
                      "-days", days, "-out", cert, "-extfile", ext)
        out = pathlib.Path(out) if out else base.with_suffix(".pem")
        text = cert.read_text() + self.cert.read_text() + key.read_text()
        temporary = out.with_name("." + out.name + ".new")
        temporary.write_text(text)
        temporary.rename(out)
        return out
