// Vault's own transit engine (keys, encryption, rotation, rewrapping: its code, unchanged) behind a small HTTP door.
//
// The door is ours: one token, no policies, everything in memory. Only tests run it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/logical"
)

const prefix = "/v1/transit/"

type door struct {
	engine  logical.Backend
	storage logical.Storage
	token   string
}

func main() {
	storage := &logical.InmemStorage{}
	engine, err := transit.Factory(context.Background(), &logical.BackendConfig{
		StorageView: storage,
		Logger:      hclog.NewNullLogger(),
		System:      logical.TestSystemView(),
	})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	handler := &door{engine, storage, os.Getenv("TRANSIT_TOKEN")}
	if len(os.Args) == 3 {
		panic(http.ServeTLS(listener, handler, os.Args[1], os.Args[2]))
	}
	panic(http.Serve(listener, handler))
}

func (d *door) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	path, found := strings.CutPrefix(request.URL.Path, prefix)
	if !found || d.token == "" || request.Header.Get("X-Vault-Token") != d.token {
		refuse(writer, http.StatusForbidden, "permission denied")
		return
	}
	answer, err := d.ask(request, path)
	switch {
	case errors.Is(err, logical.ErrUnsupportedPath):
		refuse(writer, http.StatusNotFound)
	case err != nil && answer != nil && answer.IsError():
		refuse(writer, http.StatusBadRequest, answer.Error().Error())
	case errors.Is(err, logical.ErrInvalidRequest):
		refuse(writer, http.StatusBadRequest, err.Error())
	case err != nil:
		refuse(writer, http.StatusInternalServerError, err.Error())
	case answer == nil && request.Method == http.MethodGet:
		refuse(writer, http.StatusNotFound)
	case answer == nil:
		writer.WriteHeader(http.StatusNoContent)
	case answer.IsError():
		refuse(writer, http.StatusBadRequest, answer.Error().Error())
	default:
		respond(writer, http.StatusOK, map[string]any{"request_id": "0", "lease_id": "", "data": answer.Data})
	}
}

func (d *door) ask(request *http.Request, path string) (*logical.Response, error) {
	asked := &logical.Request{Path: path, Storage: d.storage, Operation: logical.ReadOperation, ID: "0"}
	if request.Method != http.MethodGet {
		asked.Operation = logical.UpdateOperation
		decoder := json.NewDecoder(request.Body)
		decoder.UseNumber()
		if err := decoder.Decode(&asked.Data); err != nil && request.ContentLength != 0 {
			return nil, logical.ErrInvalidRequest
		}
		known, exists, err := d.engine.HandleExistenceCheck(request.Context(), asked)
		if err != nil {
			return nil, err
		}
		if known && !exists {
			asked.Operation = logical.CreateOperation
		}
	}
	return d.engine.HandleRequest(request.Context(), asked)
}

func refuse(writer http.ResponseWriter, status int, problems ...string) {
	if problems == nil {
		problems = []string{}
	}
	respond(writer, status, map[string]any{"errors": problems})
}

func respond(writer http.ResponseWriter, status int, document any) {
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(status)
	_ = json.NewEncoder(writer).Encode(document)
}
