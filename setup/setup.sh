#!/usr/bin/env bash
# Brings what is missing and nothing else: Debian packages from setup/apt.txt, Python packages into .venv.
# Arguments name further lists: "setup.sh services" adds setup/apt-services.txt and setup/requirements-services.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
lists=(core "$@")

packages_of() { [ "$1" = core ] && echo setup/apt.txt || echo "setup/apt-$1.txt"; }
requirements_of() { [ "$1" = core ] && echo setup/requirements.txt || echo "setup/requirements-$1.txt"; }

missing=()
for list in "${lists[@]}"; do
  while read -r package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done < <(grep -v '^#' "$(packages_of "$list")")
done
if [ ${#missing[@]} -gt 0 ]; then
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" = 0 ]; then
    as_root=()
  elif sudo -n true 2>/dev/null; then
    as_root=(sudo)
  else
    echo "setup: ${#missing[@]} Debian packages are missing and this user may not install them. Run, then try again:"
    echo "  sudo apt-get update && sudo $install"
    exit 1
  fi
  tools/step "apt-get update" "${as_root[@]}" apt-get update
  tools/step "apt-get install (${#missing[@]} packages)" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $install
fi

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: $python is $("$python" --version 2>&1), Strop needs 3.11 or newer; set PYTHON=/path/to/python3.11"
  exit 1
}
[ -x .venv/bin/python ] || tools/step "python venv in .venv" "$python" -m venv .venv
for list in "${lists[@]}"; do
  requirements=$(requirements_of "$list")
  stamp=.venv/$(basename "$requirements").installed
  cmp -s "$requirements" "$stamp" && continue
  tools/step "pip install -r $requirements" .venv/bin/pip install -r "$requirements"
  cp "$requirements" "$stamp"
done
