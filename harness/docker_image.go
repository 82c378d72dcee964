package harness

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	dockerclient "github.com/docker/docker/client"
)

// buildImage builds, FROM scratch, the image of a program and the files and libraries that it needs, unless the engine has it
// already: an image is named by what is in it.
func buildImage(ctx context.Context, engine *dockerclient.Client, l Launch, libs libraries) (string, error) {
	files := map[string]string{}
	for to, from := range libs {
		files[strings.TrimPrefix(to, "/")] = from
	}
	for to, from := range l.Files {
		files[strings.TrimPrefix(to, "/")] = from
	}
	if !strings.HasPrefix(l.Program, imagePrefix) {
		files[strings.TrimPrefix(imageProgram(l), "/")] = l.Program
	}
	content, sum, err := packFiles(files)
	if err != nil {
		return "", fmt.Errorf("build the image of %s: %w", l.Program, err)
	}
	name := fmt.Sprintf("rift/%s:%x", strings.ToLower(filepath.Base(imageProgram(l))), sum[:6])
	if _, err := engine.ImageInspect(ctx, name); err == nil {
		return name, nil
	} else if !errdefs.IsNotFound(err) {
		return "", fmt.Errorf("look for image %s: %w", name, err)
	}
	answer, err := engine.ImageBuild(ctx, content, build.ImageBuildOptions{
		Tags: []string{name}, Remove: true, ForceRemove: true, Labels: map[string]string{labelTag: "image"},
	})
	if err != nil {
		return "", fmt.Errorf("build image %s: %w", name, err)
	}
	defer answer.Body.Close()
	if err := buildOutcome(name, answer.Body); err != nil {
		return "", err
	}
	return name, pruneImages(ctx, engine, name)
}

// keepImages is how long an image is kept that no container uses: a run that has just looked it up may be about to.
const keepImages = time.Hour

// pruneImages removes the images of earlier builds, all but one, that nothing has used for a while.
func pruneImages(ctx context.Context, engine *dockerclient.Client, but string) error {
	old, err := engine.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelTag+"=image"))})
	if err != nil {
		return fmt.Errorf("list images of earlier builds: %w", err)
	}
	for _, i := range old {
		if slices.Contains(i.RepoTags, but) || time.Since(time.Unix(i.Created, 0)) < keepImages {
			continue
		}
		_, err := engine.ImageRemove(ctx, i.ID, image.RemoveOptions{Force: false, PruneChildren: true})
		if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) { // a conflict: a container uses it
			return fmt.Errorf("remove the image of an earlier build: %w", err)
		}
	}
	return nil
}

// buildOutcome reads the engine's stream of messages to its end, and gives the error that is in it, if any.
func buildOutcome(image string, messages io.Reader) error {
	for d := json.NewDecoder(messages); ; {
		var m struct {
			Error string `json:"error"`
		}
		switch err := d.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("build image %s: %w", image, err)
		case m.Error != "":
			return fmt.Errorf("build image %s: %s", image, m.Error)
		}
	}
}

// packFiles packs files and folders, and a Dockerfile that copies them, with a sum of all of it. The same files give the same sum.
func packFiles(files map[string]string) (io.Reader, [sha256.Size]byte, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	dockerfile := []byte("FROM scratch\nCOPY root/ /\n")
	if err := writeTar(w, &tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(dockerfile))}, bytes.NewReader(dockerfile)); err != nil {
		return nil, [sha256.Size]byte{}, err
	}
	var names []string
	for to := range files {
		names = append(names, to)
	}
	sort.Strings(names)
	for _, to := range names {
		from, err := filepath.EvalSymlinks(files[to]) // what a link leads to need not be in the image
		if err != nil {
			return nil, [sha256.Size]byte{}, err
		}
		if err := packTree(w, filepath.Join("root", to), from); err != nil {
			return nil, [sha256.Size]byte{}, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, [sha256.Size]byte{}, err
	}
	return &packed, sha256.Sum256(packed.Bytes()), nil
}

func packTree(w *tar.Writer, to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		// Times and owners of this machine are no part of what the program is.
		*h = tar.Header{Typeflag: h.Typeflag, Name: filepath.Join(to, below), Linkname: h.Linkname, Size: h.Size, Mode: h.Mode}
		if !info.Mode().IsRegular() {
			return w.WriteHeader(h)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return writeTar(w, h, f)
	})
}

func writeTar(w *tar.Writer, h *tar.Header, content io.Reader) error {
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(w, content)
	return err
}
