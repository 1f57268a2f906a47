# The operator's image: one static program and the certificates of the public authorities. Its context is the
# folder that `image/context syncline` makes:
#   docker build --tag syncline:0.1.0 "$(image/context syncline)"
FROM scratch
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY syncline /syncline
USER 65532:65532
ENTRYPOINT ["/syncline"]
