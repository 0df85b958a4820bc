// Command reader reads a Concord log as any client of C2SP tlog-tiles does: it knows golang.org/x/mod/sumdb (tlog, note)
// and nothing of Concord. It checks the checkpoint's signature and root, every entry, random inclusion proofs and random
// consistency proofs, each from tiles alone.
//
//	reader -vkey VKEY [-seed N] FOLDER|URL
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
	rounds = 64
)

// source returns what lies at a path below the log's prefix.
type source func(path string) ([]byte, error)

func open(location string) source {
	if !strings.HasPrefix(location, "http://") && !strings.HasPrefix(location, "https://") {
		return func(path string) ([]byte, error) {
			return os.ReadFile(filepath.Join(location, filepath.FromSlash(path)))
		}
	}
	client := &http.Client{Timeout: 10 * time.Second}
	return func(path string) ([]byte, error) {
		response, err := client.Get(strings.TrimSuffix(location, "/") + "/" + path)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %s", path, response.Status)
		}
		return io.ReadAll(io.LimitReader(response.Body, 1<<25))
	}
}

// tilePath is tile/<L>/<N>[.p/<W>] of C2SP: tlog's own path without the height.
func tilePath(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
}

// entriesPath is tile/entries/<N>[.p/<W>] of C2SP.
func entriesPath(index int64, count int) string {
	path := tilePath(tlog.Tile{H: height, L: 0, N: index, W: count})
	return "tile/entries/" + strings.TrimPrefix(path, "tile/0/")
}

// tiles is a tlog.TileReader over a source; what tlog has authenticated is kept.
type tiles struct {
	fetch source
	kept  map[tlog.Tile][]byte
}

func (tiles) Height() int { return height }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(wanted))
	for i, tile := range wanted {
		data, known := t.kept[tile]
		if !known {
			var err error
			if data, err = t.fetch(tilePath(tile)); err != nil {
				return nil, err
			}
		}
		read[i] = data
	}
	return read, nil
}

func (t tiles) SaveTiles(wanted []tlog.Tile, data [][]byte) {
	for i, tile := range wanted {
		t.kept[tile] = data[i]
	}
}

// readCheckpoint verifies the signed note and reads origin, size and root.
func readCheckpoint(fetch source, verifier note.Verifier) (tlog.Tree, error) {
	raw, err := fetch("checkpoint")
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// readBundle splits an entry bundle: each entry after its length as a big-endian uint16.
func readBundle(raw []byte) ([][]byte, error) {
	var entries [][]byte
	for len(raw) > 0 {
		if len(raw) < 2 {
			return nil, errors.New("an entry bundle is cut short")
		}
		length := int(binary.BigEndian.Uint16(raw))
		if len(raw) < 2+length {
			return nil, errors.New("an entry bundle is cut short")
		}
		entries = append(entries, raw[2:2+length])
		raw = raw[2+length:]
	}
	return entries, nil
}

// checkEntries hashes every entry up to the root, and compares each with its leaf in the tiles.
func checkEntries(fetch source, tree tlog.Tree, hashes tlog.HashReader) error {
	var stored []tlog.Hash
	memory := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	for first := int64(0); first < tree.N; first += width {
		count := int(min(width, tree.N-first))
		raw, err := fetch(entriesPath(first/width, count))
		if err != nil {
			return err
		}
		entries, err := readBundle(raw)
		if err != nil || len(entries) != count {
			return fmt.Errorf("bundle %d has %d entries instead of %d: %v", first/width, len(entries), count, err)
		}
		indexes := make([]int64, count)
		for i := range entries {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		leaves, err := hashes.ReadHashes(indexes) // authenticated against the root by tlog
		if err != nil {
			return err
		}
		for i, entry := range entries {
			if leaves[i] != tlog.RecordHash(entry) {
				return fmt.Errorf("entry %d is not the leaf of that index", first+int64(i))
			}
			added, err := tlog.StoredHashes(first+int64(i), entry, memory)
			if err != nil {
				return err
			}
			stored = append(stored, added...)
		}
	}
	root, err := tlog.TreeHash(tree.N, memory)
	if err == nil && root != tree.Hash {
		err = fmt.Errorf("the entries hash to %v, the checkpoint says %v", root, tree.Hash)
	}
	return err
}

// checkProofs proves and checks random entries and random earlier trees.
func checkProofs(tree tlog.Tree, hashes tlog.HashReader, random *rand.Rand) error {
	for range rounds {
		index := random.Int63n(tree.N)
		leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf[0]); err != nil {
			return fmt.Errorf("inclusion of %d: %w", index, err)
		}
		earlier := 1 + random.Int63n(tree.N)
		root, err := tlog.TreeHash(earlier, hashes)
		if err != nil {
			return err
		}
		grown, err := tlog.ProveTree(tree.N, earlier, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(grown, tree.N, tree.Hash, earlier, root); err != nil {
			return fmt.Errorf("consistency from %d: %w", earlier, err)
		}
	}
	return nil
}

func run(location, vkey string, seed int64) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	fetch := open(location)
	tree, err := readCheckpoint(fetch, verifier)
	if err != nil {
		return err
	}
	if tree.N == 0 {
		return errors.New("the log is empty")
	}
	hashes := tlog.TileHashReader(tree, tiles{fetch, map[tlog.Tile][]byte{}})
	if err := checkEntries(fetch, tree, hashes); err != nil {
		return err
	}
	if err := checkProofs(tree, hashes, rand.New(rand.NewSource(seed))); err != nil {
		return err
	}
	fmt.Printf("%d entries, root %v\n", tree.N, tree.Hash)
	return nil
}

func main() {
	vkey := flag.String("vkey", "", "the log's verifier key")
	seed := flag.Int64("seed", 1, "which entries and trees are proven")
	flag.Parse()
	if flag.NArg() != 1 || *vkey == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *vkey, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "reader:", err)
		os.Exit(1)
	}
}
