// The address of a path of this service, also where it lies below a path prefix (KAMMERTON_ROOT_PATH).
export function address(path) {
  return document.documentElement.dataset.root + path;
}
