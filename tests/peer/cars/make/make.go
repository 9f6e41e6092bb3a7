//go:build ignore

// Writes the go-*.car files of the folder above with go-car v2, out of the blocks of market.car and js-folder.car.
// go mod init make; go get github.com/ipld/go-car/v2@v2.17.0; go run make.go FOLDER
package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	car "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/blockstore"
	_ "github.com/ipld/go-codec-dagpb"
	"github.com/ipld/go-ipld-prime"
	_ "github.com/ipld/go-ipld-prime/codec/raw"
	"github.com/ipld/go-ipld-prime/linking"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	selectorparse "github.com/ipld/go-ipld-prime/traversal/selector/parse"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// read returns the roots and the blocks of a file.
func read(path string) ([]cid.Cid, []blocks.Block) {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	reader, err := car.NewBlockReader(file)
	must(err)
	var found []blocks.Block
	for {
		block, err := reader.Next()
		if err == io.EOF {
			return reader.Roots, found
		}
		must(err)
		found = append(found, block)
	}
}

func write(path string, finish bool, roots []cid.Cid, content []blocks.Block, options ...car.Option) {
	os.Remove(path)
	store, err := blockstore.OpenReadWrite(path, roots, options...)
	must(err)
	must(store.PutMany(context.Background(), content))
	if finish {
		must(store.Finalize())
	}
}

// export walks all that is below a root, each block once, as `ipfs dag export` does.
func export(path string, root cid.Cid, content []blocks.Block) {
	system := cidlink.DefaultLinkSystem()
	system.TrustedStorage = true
	system.StorageReadOpener = func(_ linking.LinkContext, link ipld.Link) (io.Reader, error) {
		for _, each := range content {
			if each.Cid() == link.(cidlink.Link).Cid {
				return bytes.NewReader(each.RawData()), nil
			}
		}
		return nil, os.ErrNotExist
	}
	file, err := os.Create(path)
	must(err)
	all := selectorparse.CommonSelector_ExploreAllRecursively
	_, err = car.TraverseV1(context.Background(), &system, root, all, file)
	must(err)
	must(file.Close())
}

func main() {
	folder := os.Args[1]
	in := func(name string) string { return filepath.Join(folder, name) }
	heads, market := read(in("market.car"))
	tree, files := read(in("js-folder.car"))
	write(in("go-v1.car"), true, heads, market, car.WriteAsCarV1(true))
	write(in("go-v2.car"), true, heads, market)
	write(in("go-v2-padded.car"), true, heads, market, car.UseDataPadding(100), car.UseIndexPadding(200))
	write(in("go-v2-unfinished.car"), false, heads, market)
	export(in("go-export.car"), heads[0], market)
	export(in("go-export-folder.car"), tree[0], files)
}
